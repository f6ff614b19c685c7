//! Contexts: which centrals there are, with which token each is asked, and which one is meant.

mod add;
mod contexts;
mod name;
mod store;
mod token_file;

use hub_chassis::cli::{Failure, Table, exit, output};
use serde_json::json;

pub(crate) use contexts::Access;
pub(crate) use name::ContextName;

use crate::args::ContextCommand;
use contexts::Contexts;

/// Names the context, below the option and above what was chosen for good.
const VARIABLE: &str = "RELAIS_CONTEXT";

/// Runs a context command.
pub(crate) fn run(command: ContextCommand) -> Result<(), Failure> {
    match command {
        ContextCommand::Add(args) => add::add(args),
        ContextCommand::List { json } => list(&store::read()?, json),
        ContextCommand::Use { name } => {
            store::change(|contexts| {
                contexts.get(&name)?;
                contexts.current = Some(name.clone());
                Ok(())
            })?;
            output::line(&format!("{name} is used from now on"))
        }
        ContextCommand::Remove { name } => {
            let was_current = store::change(|contexts| contexts.remove(&name))?;
            let rest = "the token is still valid at central; revoke it there if nobody needs it any more";
            output::line(&format!("{name} is removed; {rest}"))?;
            if was_current {
                output::line("no context is in use now: choose one with `relais context use NAME`")?;
            }
            Ok(())
        }
    }
}

/// What to ask: of `--context`, else of `RELAIS_CONTEXT`, else of the one in use.
pub(crate) fn chosen(flag: Option<&ContextName>) -> Result<Access, Failure> {
    let variable = || std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
    let named = match (flag, variable()) {
        (Some(name), _) => Some(name.clone()),
        (None, Some(value)) => Some(of_variable(&value.to_string_lossy())?),
        (None, None) => None,
    };
    let contexts = store::read()?;
    let name = named.as_ref().or(contexts.current.as_ref());
    let name = name.ok_or_else(|| Failure::Told(exit::SIGN_IN, none_chosen(&contexts)))?;
    contexts.get(name).cloned()
}

fn of_variable(text: &str) -> Result<ContextName, Failure> {
    text.parse().map_err(|error| Failure::Told(exit::USAGE, format!("{VARIABLE}: {error}")))
}

fn none_chosen(contexts: &Contexts) -> String {
    if contexts.by_name.is_empty() {
        "there is no context yet; get an admin token with `relais-central token create --admin NAME` at central, then: relais \
         context add NAME --url https://HOST:7444 --token-file FILE"
            .to_owned()
    } else {
        format!("no context is in use; choose one of {} with `relais context use NAME`", contexts.names())
    }
}

fn list(contexts: &Contexts, as_json: bool) -> Result<(), Failure> {
    let is_current = |name: &ContextName| contexts.current.as_ref() == Some(name);
    if as_json {
        let entries = contexts.by_name.iter().map(|(name, access)| {
            json!({
                "name": name.as_str(), "url": access.address.to_string(), "root": access.token.root.to_string(),
                "current": is_current(name),
            })
        });
        return output::line(&json!({ "contexts": entries.collect::<Vec<_>>() }).to_string());
    }
    if contexts.by_name.is_empty() {
        return output::line("No contexts. Add one with `relais context add`.");
    }
    let mut table = Table::new(&["", "name", "url", "root"]);
    for (name, access) in &contexts.by_name {
        let mark = if is_current(name) { "*" } else { "" };
        table.row(vec![
            mark.into(),
            name.to_string(),
            access.address.to_string(),
            access.token.root.to_string(),
        ]);
    }
    output::text(&table.render())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_is_no_name_is_a_usage_error() {
        let Failure::Told(code, message) = of_variable("a b").unwrap_err() else { panic!() };
        assert_eq!(code, exit::USAGE);
        assert!(message.starts_with("RELAIS_CONTEXT: "), "{message}");
    }

    #[test]
    fn whoever_has_no_context_is_told_how_to_get_one() {
        assert!(none_chosen(&Contexts::default()).contains("relais context add NAME"));
    }
}
