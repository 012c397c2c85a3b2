//! What lies in a broker → what it means. Pure: the clock is the server's, and is handed in.

pub mod peek;
pub mod workers;
