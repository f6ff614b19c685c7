//! Page after page: asks, understands, hands over, and says how far it came when one fails.

use hub_chassis::cli::{Failure, exit};
use hub_chassis::number_text::counted;

use crate::ask::{AskError, AskErrorKind};
use crate::paging::{NextPage, Paging};

/// A page of anything.
pub(crate) trait Page {
    /// Entries on it.
    fn entries(&self) -> u64;
    /// The token of the page behind it; `None` behind the last.
    fn next_page_token(&self) -> Option<String>;
}

/// What is followed.
pub(crate) struct Trail<'a, P> {
    /// Asks one question: the client.
    pub(crate) ask: &'a dyn Fn(&str) -> Result<String, AskError>,
    /// The path of a page.
    pub(crate) path: &'a dyn Fn(&NextPage) -> String,
    /// The page in an answer; the error says why it is none, as a fragment.
    pub(crate) parse: &'a dyn Fn(&str) -> Result<P, String>,
    /// What an entry and several are called.
    pub(crate) entry: (&'static str, &'static str),
}

impl<P: Page> Trail<'_, P> {
    /// Follows it to the end or the limit. A page that fails behind the first is told as partly failed.
    pub(crate) fn follow(
        &self,
        paging: &mut Paging,
        take: &mut dyn FnMut(P) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        while let Some(next) = paging.next() {
            let page = match self.page(&next) {
                Ok(page) => page,
                Err(error) if error.kind == AskErrorKind::TooLarge && paging.shrink() => continue,
                Err(error) => return Err(self.failed(paging, error)),
            };
            let (entries, token) = (page.entries(), page.next_page_token());
            take(page)?;
            if let Err(error) = paging.took(entries, token) {
                let error = AskError::new(AskErrorKind::Refused, error.to_string());
                return Err(self.failed(paging, error));
            }
        }
        Ok(())
    }

    fn page(&self, next: &NextPage) -> Result<P, AskError> {
        let path = (self.path)(next);
        let body = (self.ask)(&path)?;
        (self.parse)(&body).map_err(|why| AskError::not_understood(&path, &why))
    }

    fn failed(&self, paging: &Paging, error: AskError) -> Failure {
        if !paging.has_begun() {
            return error.into();
        }
        let so_far = counted(paging.taken(), self.entry.0, self.entry.1);
        Failure::Told(
            exit::PARTLY_FAILED,
            format!("only the first {so_far} came, and they are good; then: {error}"),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Numbers with commas; a `+` behind them says that there are more.
    #[derive(Debug)]
    struct Numbers(Vec<u64>, Option<String>);

    fn parse(body: &str) -> Result<Numbers, String> {
        let (numbers, token) = match body.strip_suffix('+') {
            Some(numbers) => (numbers, Some(format!("behind {numbers}"))),
            None => (body, None),
        };
        let numbers = numbers.split(',').map(|n| n.parse().map_err(|_| "no numbers".to_owned()));
        Ok(Numbers(numbers.collect::<Result<_, _>>()?, token))
    }

    impl Page for Numbers {
        fn entries(&self) -> u64 {
            self.0.len() as u64
        }

        fn next_page_token(&self) -> Option<String> {
            self.1.clone()
        }
    }

    /// Follows these answers; what was asked, what came, how it ended.
    fn follow(answers: Vec<Result<&str, AskError>>) -> (Vec<String>, Vec<u64>, Result<(), Failure>) {
        let answers = RefCell::new(answers.into_iter());
        let asked = RefCell::new(Vec::new());
        let ask = |path: &str| {
            asked.borrow_mut().push(path.to_owned());
            answers.borrow_mut().next().expect("no more is asked").map(str::to_owned)
        };
        let path = |next: &NextPage| format!("{} {}", next.size, next.token.as_deref().unwrap_or("first"));
        let trail = Trail { ask: &ask, path: &path, parse: &parse, entry: ("number", "numbers") };
        let mut came = Vec::new();
        let ended = trail.follow(&mut Paging::new(None, 16), &mut |Numbers(numbers, _)| {
            came.extend(numbers);
            Ok(())
        });
        (asked.into_inner(), came, ended)
    }

    fn error(kind: AskErrorKind) -> AskError {
        AskError::new(kind, "no")
    }

    #[test]
    fn pages_are_followed() {
        let (asked, came, ended) = follow(vec![Ok("1,2+"), Ok("3")]);
        assert_eq!((came, ended), (vec![1, 2, 3], Ok(())));
        assert_eq!(asked, ["16 first", "16 behind 1,2"]);
    }

    #[test]
    fn a_first_page_that_fails_is_its_own_failure() {
        let (_, came, ended) = follow(vec![Err(error(AskErrorKind::SignIn))]);
        assert_eq!((came, ended), (vec![], Err(Failure::Told(exit::SIGN_IN, "no".into()))));
    }

    #[test]
    fn a_later_page_that_fails_says_how_far_it_came() {
        for bad in [Err(error(AskErrorKind::Unreachable)), Ok("x")] {
            let (_, came, ended) = follow(vec![Ok("1,2+"), bad]);
            let Err(Failure::Told(code, message)) = ended else { panic!() };
            assert_eq!((came, code), (vec![1, 2], exit::PARTLY_FAILED));
            assert!(
                message.starts_with("only the first 2 numbers came, and they are good; then: "),
                "{message}"
            );
        }
    }

    #[test]
    fn a_page_that_is_too_large_is_asked_for_in_parts() {
        let too_large = || Err(error(AskErrorKind::TooLarge));
        let (asked, came, ended) = follow(vec![too_large(), Ok("1,2")]);
        assert_eq!((came, ended), (vec![1, 2], Ok(())));
        assert_eq!(asked, ["16 first", "2 first"]);
        let (asked, _, ended) = follow(vec![too_large(), too_large(), too_large()]);
        assert_eq!(asked.len(), 3);
        assert_eq!(ended, Err(Failure::failed("no")));
    }
}
