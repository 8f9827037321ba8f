//! A panic is a fault of kiln or of a device's driver: a person gets one sentence, and the place when they ask for it.

use std::panic::{self, AssertUnwindSafe};

use super::Console;
use crate::error::{Error, Result, panic_message};

/// Runs `work`; a panic in it becomes an error. Checkpoints are complete or invisible, so none can be torn by it.
///
/// The place and the backtrace are printed with `--verbose`, or when `RUST_BACKTRACE` asks for them.
pub fn contained(console: &Console, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let wants_place = console.is_verbose() || std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
    if !wants_place {
        panic::set_hook(Box::new(|_| {}));
    }
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let what = panic_message(payload.as_ref()).unwrap_or("no reason was given");
        Err(Error::failed(format!("kiln or its device failed where it should not: {what}")).next(
            "checkpoints are as they were, and `kiln resume RUN` goes on from the last one; if memory ran out, lower \
             `train.batch`; otherwise report it with what --verbose adds",
        ))
    })
}

#[cfg(test)]
#[allow(clippy::panic, clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_one_sentence_and_exit_code_1() {
        let console = Console::new(false, false, false);
        assert!(contained(&console, || Ok(())).is_ok());
        let error = contained(&console, || panic!("out of memory: {} bytes\nat device 0", 7)).unwrap_err();
        let _ = panic::take_hook();
        assert_eq!(error.exit_code(), 1);
        let text = error.to_string();
        assert!(text.contains("out of memory: 7 bytes;") && text.contains("kiln resume"), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}
