//! The Unix socket of the command line: made for its owner alone, and never stolen from a living hub.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use thiserror::Error;
use tokio::net::UnixListener;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;

/// Why there is no socket.
#[derive(Debug, Error)]
pub enum SocketError {
    /// A living process answers there.
    #[error("{} is in use: another relais-hub runs with this socket.path; stop it, or give this one its own", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is no socket is there, and so not ours to remove.
    #[error("{} exists and is not a socket; move it away, or choose another socket.path", path.display())]
    NotASocket {
        /// The file.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("{} cannot be made: {source}; choose a socket.path this user may write to", path.display())]
    Io {
        /// The socket or its folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The socket's name in its folder. Dropped, it is removed: at the end of a run, and when a start fails halfway.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Whoever removed it before us has done what we wanted; a next start replaces it in any case.
        let _gone = std::fs::remove_file(&self.0);
    }
}

/// Listens at `path`: mode 0600, a missing folder made with 0700, a dead hub's socket replaced. Call it from within a
/// tokio runtime.
pub fn bind(path: &Path) -> Result<(UnixListener, SocketFile), SocketError> {
    let failed = |source: io::Error| SocketError::Io { path: path.to_owned(), source };
    if let Some(dir) = path.parent() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|source| SocketError::Io { path: dir.to_owned(), source })?;
    }
    remove_stale(path)?;
    let listener = listen(path).map_err(failed)?;
    Ok((listener, SocketFile(path.to_owned())))
}

fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let failed = |source: io::Error| SocketError::Io { path: path.to_owned(), source };
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if !found.file_type().is_socket() {
        return Err(SocketError::NotASocket { path: path.to_owned() });
    }
    match UnixStream::connect(path) {
        Ok(_answered) => Err(SocketError::InUse { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

/// The mode is set before the name exists: on Linux a bound socket takes over the mode of its descriptor, so there is
/// no moment at which others could connect.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::net::listen(&socket, BACKLOG)?;
    UnixListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn place(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("relais-socket-{}-{name}", std::process::id()));
        let _gone = std::fs::remove_dir_all(&dir);
        dir
    }

    #[tokio::test]
    async fn only_the_owner_may_use_it_and_a_dead_one_is_replaced() {
        let dir = place("dead");
        let path = dir.join("hub.sock");
        let (listener, file) = bind(&path).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir), mode(&path)), (0o700, 0o600));
        assert!(matches!(bind(&path), Err(SocketError::InUse { .. })));
        drop(listener);
        // As after a crash: the name stays, and nobody answers.
        std::mem::forget(file);
        assert!(path.exists());
        drop(bind(&path).unwrap());
        assert!(!path.exists(), "an orderly end removes it");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[tokio::test]
    async fn what_is_not_a_socket_stays() {
        let dir = place("file");
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("hub.sock");
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(bind(&path), Err(SocketError::NotASocket { .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
