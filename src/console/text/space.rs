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
    at_least = "at least",
    counted = "Counted",
    part = "This is a part of the keys: the folder is too large to be counted at once. Open a folder below, or go on with the next part.",
    up_to = "Counted up to",
    next = "Count the next part",
    empty = "Nothing takes space here",
    empty_lead = "There are no objects below this prefix.",
} }
