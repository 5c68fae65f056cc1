//! Logic that needs no hardware
