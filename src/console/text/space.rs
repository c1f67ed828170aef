//! Words of what takes the space.

use super::texts;

texts! { Space {
    title = "Space",
    lead = "Current objects of each folder, the largest first. Old versions and unfinished uploads are not among them: the properties tell what they take.",
    folder = "Folder",
    objects = "Objects",
    stored = "Stored",
    share = "Share",
    age = "Last changed",
    age_lead = "The same by how long ago it was written. What is old and never read again can go by a lifecycle rule.",
    age_day = "Within a day",
    age_week = "Within a week",
    age_month = "Within 30 days",
    age_quarter = "Within 90 days",
    age_year = "Within a year",
    age_older = "Before that",
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
