//! How old a key is, when it is due, and when somebody is to be reminded.
