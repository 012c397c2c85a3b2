//! A live broker → what lies in it. Sizes are asked before content; what is cancelled gives what it has.

pub mod lists;
pub mod peek;
pub mod unacked;
pub mod workers;

use crate::connect::redis::Reply;
use jiff::Timestamp;

/// The answer to `TIME`.
fn clock(time: &Reply) -> Option<Timestamp> {
    let [seconds, micros] = time.list() else { return None };
    Timestamp::new(seconds.int()?, i32::try_from(micros.int()?).ok()?.checked_mul(1000)?).ok()
}
