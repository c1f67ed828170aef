//! Words of the keys that lists are worked with.

use super::texts;

texts! { Shortcuts {
    title = "Keyboard",
    step = "The next row, the one before",
    ends = "The first row, the last one",
    open = "Opens the row",
    tick = "Among objects: ticks the row; with Shift, all rows from the one that was ticked last",
    up = "Among objects: the folder above",
    search = "The field for searching",
    these = "These keys",
    letters = "Letters and signs are keys",
    letters_lead = "Without them, arrows and the other named keys go on working.",
    home_key = "Home",
    end_key = "End",
    enter_key = "Enter",
    space_key = "Space",
    backspace_key = "Backspace",
} }
