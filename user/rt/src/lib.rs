//! Run-time library of AnT programs
