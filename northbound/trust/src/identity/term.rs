//! The highest central term seen, as a text. It belongs to one root: another central counts its own.

use northbound_wire::Fingerprint;

const FIRST_LINE: &str = "relais north 1";

pub(super) fn write(root: Fingerprint, term: u64) -> String {
    format!("{FIRST_LINE}\nroot {root}\nterm {term}\n")
}

/// Root and term; `None` if the text is damaged.
pub(super) fn read(text: &[u8]) -> Option<(Fingerprint, u64)> {
    let lines: Vec<&str> = std::str::from_utf8(text).ok()?.lines().collect();
    let [FIRST_LINE, root, term] = lines[..] else { return None };
    Some((root.strip_prefix("root ")?.parse().ok()?, term.strip_prefix("term ")?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_survives_its_text() {
        let root = Fingerprint([7; 32]);
        let text = write(root, u64::MAX);
        assert_eq!(read(text.as_bytes()), Some((root, u64::MAX)));
        for cut in 0..text.len() - 1 {
            let cut = read(&text.as_bytes()[..cut]);
            assert!(cut.is_none_or(|(_, term)| term != u64::MAX), "a shorter number is at most a lower term");
        }
        assert_eq!(read(text.replace("north 1", "north 2").as_bytes()), None);
    }
}
