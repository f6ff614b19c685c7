//! `context add`: believes nothing that was not tried.

use hub_chassis::cli::{Failure, exit, output};
use hub_chassis::number_text::counted;

use super::contexts::Access;
use super::{store, token_file};
use crate::args::AddArgs;
use crate::ask::Client;
use crate::list;

/// Connects, and keeps the context when it works.
pub(super) fn add(args: AddArgs) -> Result<(), Failure> {
    let token = token_file::read(&args.token_file)?;
    let access = Access { address: args.url, token };
    let client = Client::new(&access)?;
    let hubs = list::count_hubs(&client).map_err(|failure| not_added(&args.name.to_string(), failure))?;
    let organisation = client.organisation();

    let address = access.address.clone();
    let used = store::change(|contexts| {
        if let Some(known) = contexts.by_name.get(&args.name)
            && known.address != access.address
        {
            let why = format!(
                "the context {0} is {1} already; choose another name, or remove it first: relais context remove {0}",
                args.name, known.address
            );
            return Err(Failure::Told(exit::CONFLICT, why));
        }
        contexts.by_name.insert(args.name.clone(), access);
        if args.use_it || contexts.current.is_none() {
            contexts.current = Some(args.name.clone());
        }
        Ok(contexts.current.as_ref() == Some(&args.name))
    })?;

    let hubs = counted(hubs, "hub", "hubs");
    output::line(&format!("{address} is {organisation} with {hubs}"))?;
    let rest = if used {
        "is used from now on".to_owned()
    } else {
        format!("is kept; use it with --context {}", args.name)
    };
    output::line(&format!("context {} {rest}", args.name))
}

fn not_added(name: &str, failure: Failure) -> Failure {
    match failure {
        Failure::ReaderGone => Failure::ReaderGone,
        Failure::Told(code, why) => Failure::Told(code, format!("the context {name} is not added: {why}")),
    }
}
