//! Words of what takes the space.

use super::texts;

texts! { Space {
    title = "Space",
    lead = "Current objects of each folder, the largest first. Old versions and unfinished uploads are not among them: the properties tell what they take.",
    folder = "Folder",
    objects = "Objects",
    stored = "Stored",
    share = "Share",
    own = "Objects in this folder",
    others = "Further folders",
    counted = "Counted",
    counted_so_far = "Counted so far",
    counted_at = "Counted",
    anew = "Count again",
    counting = "Counting:",
    so_far = "The table shows what was counted when the page was loaded, and is complete once the count is.",
    empty = "Nothing takes space here",
    empty_lead = "There are no objects below this prefix.",
} }
