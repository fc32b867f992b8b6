//! Any bytes as figures that were kept, also with the beginning and the checksum that nobody finds by trying: an
//! error, or figures that can be shown, joined and written, and that are the same when they are read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use storm_figures::{Keeper, Window};
use storm_model::Time;

/// Long after the zero of the clock: what is older has a time as well.
const NOW: Time = Time::from_secs(10_000_000);

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    check(&framed(bytes));
});

fn check(bytes: &[u8]) {
    let Ok(keeper) = Keeper::from_portable(NOW, bytes) else { return };
    let (shown, again) = (keeper.report(NOW), keeper.to_portable(NOW));
    drop(keeper.trend(NOW));
    let mut read = Keeper::from_portable(NOW, &again).expect("it was written here");
    assert_eq!(again, read.to_portable(NOW));
    assert_eq!(read.report(NOW).stats(Window::AllTime).emitted, shown.stats(Window::AllTime).emitted);
    read.join(NOW, keeper);
    read.tidy(NOW);
    drop(read.report(NOW));
}

/// In the frame of `storm_figures::portable`.
fn framed(bytes: &[u8]) -> Vec<u8> {
    let whole = [b"storm-figures\x01", bytes].concat();
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let sum = whole.iter().fold(0xcbf2_9ce4_8422_2325, step);
    [&whole[..], &sum.to_le_bytes()].concat()
}
