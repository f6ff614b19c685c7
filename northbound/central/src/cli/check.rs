//! `check`: the configuration, then everything in the folder.

use std::path::Path;
use std::process::ExitCode;

use hub_chassis::cli::{Failure, config, exit, output};
use hub_chassis::config::{load, told};

use super::block_on;
use crate::authority;
use crate::check::{self, Checked};
use crate::clock::Clock;
use crate::config::Config;
use crate::storage::{Storage, StorageError};

/// Checks; 9 when something is wrong.
pub(super) fn check(file: Option<&Path>) -> Result<ExitCode, Failure> {
    let code = config::check::<Config>(file)?;
    if code != ExitCode::SUCCESS {
        return Ok(code);
    }
    let loaded = load::<Config>(file, &[]).map_err(|p| Failure::Told(exit::PROBLEMS_FOUND, told(&p)))?;
    let dir = loaded.config.storage.dir;
    let Checked { found, problems, steps } = match block_on(check_folder(&dir))? {
        Some(checked) => checked,
        None => {
            output::line(&format!("storage is empty: {} holds nothing of central yet", dir.display()))?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    problems.iter().try_for_each(|problem| output::line(&output::printable(problem)))?;
    output::line(&found)?;
    steps.iter().try_for_each(|step| output::line(&format!("next: {step}")))?;
    Ok(ExitCode::from(if problems.is_empty() { 0 } else { exit::PROBLEMS_FOUND }))
}

async fn check_folder(dir: &Path) -> Result<Option<Checked>, Failure> {
    let failed = |error: StorageError| Failure::failed(error.to_string());
    let storage = match Storage::open(dir, Clock::new().utc()).await {
        Ok(storage) => storage,
        Err(StorageError::Empty { .. }) => return Ok(None),
        Err(error) => return Checked::unopened(error).map(Some).map_err(failed),
    };
    let mut checked = check::check(&storage).await.map_err(failed)?;
    let keys = storage.keys_dir();
    if let Err(error) = authority::load(&keys).and_then(|_| authority::look_at_root_key(&keys)) {
        checked.keys(error.to_string());
    }
    storage.close().await;
    Ok(Some(checked))
}
