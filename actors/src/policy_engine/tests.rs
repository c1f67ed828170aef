//! The engine as a whole: its rules over tables, and the actor with its file.

mod actor;
mod rules;
mod world;
