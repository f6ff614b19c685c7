//! A thread with a small runtime of its own, so that a server runs beside tests with and without a runtime.

use std::io;
use std::thread::{self, JoinHandle};

use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Runs one future and what it starts. Dropping it ends all of that and waits until it has ended.
#[derive(Debug)]
pub(crate) struct Worker {
    /// Dropped to stop.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// `prepare` runs here and now, inside the new runtime; what it returns runs on the thread.
    pub(crate) fn start<Main>(name: &str, prepare: impl FnOnce() -> io::Result<Main>) -> io::Result<Worker>
    where
        Main: Future<Output = ()> + Send + 'static,
    {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let main = {
            let _inside = runtime.enter();
            prepare()?
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = main => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Worker { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            eprintln!("a simulated device panicked");
        }
    }
}
