//! Words of the object browser.

use super::texts;

texts! { Browse {
    title = "Objects",
} }
