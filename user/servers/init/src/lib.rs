//! The first process of AnT
