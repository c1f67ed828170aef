//! Sessions: what is asked for, given, opened and bound.
