//! How two texts differ, line by line (E. W. Myers, "An O(ND) Difference Algorithm and Its Variations"). Pure.
//!
//! INVARIANT: the work is bounded: so many lines, and so many of them different, or there is no answer.

use std::collections::HashMap;

/// Most lines of a text.
const LINES_MAX: usize = 10_000;
/// Most lines that are taken away and added, in all. What is kept of the search grows with its square.
const EDITS_MAX: usize = 500;
/// Equal lines that are shown around those which differ.
const AROUND: usize = 3;

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is in both texts.
    Same,
    /// It is in the first alone.
    Removed,
    /// It is in the second alone.
    Added,
}

/// A line, and its number in each text that has it, from 1 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// What became of it.
    pub fate: Fate,
    /// Number in the first text.
    pub left: Option<usize>,
    /// Number in the second.
    pub right: Option<usize>,
    /// The line without its end.
    pub text: &'a str,
}

/// What is shown of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A line.
    Line(Line<'a>),
    /// So many lines that are the same.
    Skipped(usize),
}

/// All lines of both texts, in order; none where there are too many of them, or too many that differ.
pub fn compare<'a>(left: &'a str, right: &'a str) -> Option<Vec<Line<'a>>> {
    let (lefts, rights): (Vec<&str>, Vec<&str>) = (left.lines().collect(), right.lines().collect());
    if lefts.len() > LINES_MAX || rights.len() > LINES_MAX {
        return None;
    }
    // Lines are compared as numbers, however long they are.
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    let mut number = |line: &&'a str| {
        let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
        *numbers.entry(*line).or_insert(next)
    };
    let (from, to): (Vec<u32>, Vec<u32>) =
        (lefts.iter().map(&mut number).collect(), rights.iter().map(&mut number).collect());
    let (mut x, mut y) = (0, 0);
    let line = |fate| {
        let (has_left, has_right) = (fate != Fate::Added, fate != Fate::Removed);
        let text = if has_left { lefts.get(x) } else { rights.get(y) };
        x += usize::from(has_left);
        y += usize::from(has_right);
        Line {
            fate,
            left: has_left.then_some(x),
            right: has_right.then_some(y),
            text: text.copied().unwrap_or_default(),
        }
    };
    Some(fates(&from, &to)?.into_iter().map(line).collect())
}

/// The shortest way from one list to the other; none where it is too long.
fn fates(from: &[u32], to: &[u32]) -> Option<Vec<Fate>> {
    let (ends_x, ends_y) = (length(from), length(to));
    // The furthest points of each round, by their diagonals: those that so many edits reach.
    let mut rounds: Vec<Vec<i64>> = Vec::new();
    for edits in 0..=i64::try_from(EDITS_MAX).ok()? {
        let mut reached = vec![-1; usize::try_from(2 * edits + 1).ok()?];
        for diagonal in (-edits..=edits).step_by(2) {
            let mut x = match rounds.last() {
                None => 0,
                Some(before) => step(before, edits, diagonal).0,
            };
            while x < ends_x && x - diagonal < ends_y && item(from, x) == item(to, x - diagonal) {
                x += 1;
            }
            if let Some(place) = usize::try_from(diagonal + edits).ok().and_then(|at| reached.get_mut(at)) {
                *place = x;
            }
            if x >= ends_x && x - diagonal >= ends_y {
                return Some(way_back(&rounds, ends_x, ends_y));
            }
        }
        rounds.push(reached);
    }
    None
}

/// Where one more edit leads to on a diagonal, and whether it adds a line.
fn step(before: &[i64], edits: i64, diagonal: i64) -> (i64, bool) {
    let of = |diagonal: i64| usize::try_from(diagonal + edits - 1).ok().and_then(|at| before.get(at)).copied();
    let (above, beside) = (of(diagonal + 1), of(diagonal - 1));
    match (above, beside) {
        (Some(above), Some(beside)) if beside < above => (above, true),
        (_, Some(beside)) => (beside + 1, false),
        (above, None) => (above.unwrap_or_default(), true),
    }
}

fn way_back(rounds: &[Vec<i64>], mut x: i64, mut y: i64) -> Vec<Fate> {
    let mut fates = Vec::new();
    let mut edits = length(rounds);
    for before in rounds.iter().rev() {
        let (begins, adds) = step(before, edits, x - y);
        while x > begins {
            fates.push(Fate::Same);
            (x, y) = (x - 1, y - 1);
        }
        fates.push(if adds { Fate::Added } else { Fate::Removed });
        (x, y) = if adds { (x, y - 1) } else { (x - 1, y) };
        edits -= 1;
    }
    fates.extend(std::iter::repeat_n(Fate::Same, usize::try_from(x).unwrap_or_default()));
    fates.reverse();
    fates
}

fn length<T>(list: &[T]) -> i64 {
    i64::try_from(list.len()).unwrap_or(i64::MAX)
}

fn item(list: &[u32], at: i64) -> Option<u32> {
    usize::try_from(at).ok().and_then(|at| list.get(at)).copied()
}

/// The lines that differ and a few around them; at most `max` lines, and whether these are all.
pub fn shortened<'a>(lines: &[Line<'a>], max: usize) -> (Vec<Piece<'a>>, bool) {
    let mut near = vec![false; lines.len()];
    for (at, line) in lines.iter().enumerate() {
        if line.fate != Fate::Same {
            let reach = at.saturating_sub(AROUND)..(at + AROUND + 1).min(lines.len());
            near.get_mut(reach).unwrap_or_default().fill(true);
        }
    }
    let (mut pieces, mut skipped, mut shown) = (Vec::new(), 0, 0);
    for (line, is_near) in lines.iter().zip(near) {
        if !is_near {
            skipped += 1;
            continue;
        }
        if shown == max {
            return (pieces, false);
        }
        if skipped > 0 {
            pieces.push(Piece::Skipped(std::mem::take(&mut skipped)));
        }
        pieces.push(Piece::Line(*line));
        shown += 1;
    }
    if skipped > 0 {
        pieces.push(Piece::Skipped(skipped));
    }
    (pieces, true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A comparison as `diff` writes it.
    fn written(left: &str, right: &str) -> String {
        let sign = |line: &Line<'_>| match line.fate {
            Fate::Same => ' ',
            Fate::Removed => '-',
            Fate::Added => '+',
        };
        let all = compare(left, right).unwrap();
        all.iter().map(|line| format!("{}{}\n", sign(line), line.text)).collect()
    }

    #[test]
    fn few_lines_are_taken_and_added() {
        assert_eq!(written("a\nb\nc\n", "a\nx\nc\nd"), " a\n-b\n+x\n c\n+d\n");
        assert_eq!(written("", "a"), "+a\n");
        assert_eq!(written("a\nb", ""), "-a\n-b\n");
        assert_eq!(written("", ""), "");
        assert_eq!(written("a\r\nb", "a\nb"), " a\n b\n", "ends of lines are not compared");
        let lines = compare("a\nb", "b\nc").unwrap();
        let numbers: Vec<_> = lines.iter().map(|line| (line.left, line.right)).collect();
        assert_eq!(numbers, [(Some(1), None), (Some(2), Some(1)), (None, Some(2))]);
    }

    #[test]
    fn work_is_bounded() {
        let lines = |count: usize, word: &str| (0..count).map(|at| format!("{word}{at}\n")).collect::<String>();
        assert!(compare(&lines(EDITS_MAX + 1, "a"), "").is_none(), "too much differs");
        assert!(compare(&lines(EDITS_MAX, "a"), "").is_some());
        assert!(compare(&lines(LINES_MAX + 1, "a"), &lines(LINES_MAX + 1, "a")).is_none(), "too many lines");
        assert!(compare(&lines(LINES_MAX, "a"), &lines(LINES_MAX, "a")).is_some());
    }

    #[test]
    fn what_is_the_same_is_skipped() {
        let left: String = (0..20).map(|at| format!("{at}\n")).collect();
        let right = left.replace("10\n", "x\n");
        let lines = compare(&left, &right).unwrap();
        let (pieces, is_all) = shortened(&lines, 100);
        assert!(is_all && pieces.len() == 2 + 2 * AROUND + 2);
        assert_eq!((pieces[0], pieces[pieces.len() - 1]), (Piece::Skipped(7), Piece::Skipped(6)));
        let (pieces, is_all) = shortened(&lines, 4);
        assert!(!is_all && pieces.len() == 5);
        assert_eq!(shortened(&compare("a", "a").unwrap(), 9), (vec![Piece::Skipped(1)], true));
    }

    /// Length of the longest list that is in both, by the table that everybody knows.
    fn common(left: &[String], right: &[String]) -> usize {
        let mut row = vec![0; right.len() + 1];
        for one in left {
            let mut corner = 0;
            for (at, other) in right.iter().enumerate() {
                let above = row[at + 1];
                row[at + 1] = if one == other { corner + 1 } else { above.max(row[at]) };
                corner = above;
            }
        }
        row[right.len()]
    }

    proptest! {
        #[test]
        fn both_texts_are_in_it_and_the_way_is_the_shortest(
            left in prop::collection::vec("[abc]", 0..12),
            right in prop::collection::vec("[abc]", 0..12),
        ) {
            let (first, second) = (left.join("\n"), right.join("\n"));
            let lines = compare(&first, &second).unwrap();
            let of = |without: Fate| -> Vec<String> {
                lines.iter().filter(|line| line.fate != without).map(|line| line.text.to_owned()).collect()
            };
            prop_assert_eq!(of(Fate::Added), left.clone());
            prop_assert_eq!(of(Fate::Removed), right.clone());
            let same = lines.iter().filter(|line| line.fate == Fate::Same).count();
            prop_assert_eq!(same, common(&left, &right));
        }
    }
}
