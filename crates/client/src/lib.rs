//! Speaks wire to the agent, and starts it on demand.
