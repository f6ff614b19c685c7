//! "Did you mean …?": the known word that is nearest to an unknown one.

/// The nearest of the known words, unless none is near: one slip in a short word, two in a longer one. The beginning of
/// a word is near, too.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let slips_max = if word.chars().count() < 5 { 1 } else { 2 };
    let is_beginning = |known: &str| word.len() > 2 && known.starts_with(&word);
    let slips = |known: &str| if is_beginning(known) { 1 } else { slips(&word, known) };
    let near = known.into_iter().map(|known| (slips(known), known));
    near.filter(|(slips, _)| *slips <= slips_max).min_by_key(|(slips, _)| *slips).map(|(_, known)| known)
}

/// Letters left out, added or replaced, and neighbours that changed places: the least number that makes one of the other.
fn slips(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before_last[j - 2] + 1);
            }
            row.push(least);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(word: &str, expected: Option<&str>) {
        assert_eq!(nearest(word, ["cut", "mend", "silence", "boiler", "cold-room"]), expected, "{word}");
    }

    #[test]
    fn slips_are_understood() {
        check("cutt", Some("cut"));
        check("CUT", Some("cut"));
        check("mned", Some("mend"));
        check("silense", Some("silence"));
        check("boilr", Some("boiler"));
        check("coldroom", Some("cold-room"));
        check("boil", Some("boiler"));
    }

    #[test]
    fn other_words_are_not() {
        check("", None);
        check("at", None);
        check("explode", None);
        check("bo", None);
    }
}
