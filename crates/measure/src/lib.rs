//! Deltas to rows: bins, windows, estimates; now is an argument
