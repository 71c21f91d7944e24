//! The inventory of peerings, connections and ports; record to connection and direction, counted once
