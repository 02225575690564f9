//! Ctrl-C for commands that must tidy up: leave a group, end a transaction, deliver what was taken in.
//!
//! What is always true: the first Ctrl-C raises a flag that the command looks at often; the second ends the process at once with 130.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether Ctrl-C was pressed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt {
    pressed: Arc<AtomicBool>,
}

impl Interrupt {
    /// Begins to listen; needs a runtime of several threads, since the command may block its own.
    pub(crate) fn listen() -> Interrupt {
        let interrupt = Interrupt::default();
        let pressed = Arc::clone(&interrupt.pressed);
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                if pressed.swap(true, Ordering::SeqCst) {
                    std::process::exit(130);
                }
            }
        });
        interrupt
    }

    /// Whether Ctrl-C was pressed.
    pub(crate) fn is_pressed(&self) -> bool {
        self.pressed.load(Ordering::SeqCst)
    }
}
