//! Where rows come from.

pub mod idx;
pub mod images;
pub mod table;
