//! The daemon: parent of the proxies
