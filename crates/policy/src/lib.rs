//! Rules, history and time in; verdict out.
