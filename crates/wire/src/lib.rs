//! What is said over the agent's sockets: frames, JSON-RPC, calls and prompts.
