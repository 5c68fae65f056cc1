//! The AnT kernel
