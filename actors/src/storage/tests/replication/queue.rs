//! The queue by itself: bounds, sums, what is settled and what is not.
