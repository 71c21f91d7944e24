//! Scenarios of networks to real datagrams and the truth about them
