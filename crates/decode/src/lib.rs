//! Datagram to records, counters and facts: NetFlow, IPFIX, sFlow; pure
