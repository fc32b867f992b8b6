//! Any bytes as a batch from the wire: an error, or a batch whose every value can be read and that
//! is sent as the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use storm_row::{Batch, KeyEncoder, WireLimits};

fuzz_target!(|bytes: &[u8]| {
    let Ok(batch) = Batch::from_wire(bytes, &WireLimits::default()) else {
        return;
    };
    let (mut keys, mut copy) = (KeyEncoder::new(), Batch::new());
    for row in batch.iter() {
        let values = row.values();
        assert_eq!(values.to_values().len(), values.arity());
        for i in 0..values.arity() {
            keys.hash(&values, &[i]).ok();
        }
        assert_eq!(row.anchors().count(), row.anchor_count());
        copy.push_row(row.to_owned_row().as_ref());
    }
    for batch in [batch, copy] {
        let mut sent = Vec::new();
        batch.to_wire(&mut sent);
        assert_eq!(sent, bytes);
    }
});
