//! SIGINT and SIGTERM: the first one asks the loop to finish its step and save, a second one leaves at once.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

use crate::error::{Error, Result};

/// Whether somebody asked the run to stop.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens to SIGINT and SIGTERM from now on.
    pub fn listen() -> Result<Self> {
        let raised = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // Order matters: the shutdown handler sees the flag before the same signal sets it.
            flag::register_conditional_shutdown(signal, 130, Arc::clone(&raised)).map_err(|e| cannot(&e))?;
            flag::register(signal, Arc::clone(&raised)).map_err(|e| cannot(&e))?;
        }
        Ok(Self(raised))
    }

    /// Whether to stop after this step.
    pub fn raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Asks for a stop, as a signal would.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn cannot(e: &std::io::Error) -> Error {
    Error::failed(format!("cannot listen to SIGINT and SIGTERM: {e}"))
}
