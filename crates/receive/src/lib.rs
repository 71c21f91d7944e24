//! UDP sockets in batches and capture files; the only unsafe code and system calls
