//! Address to tag and customer: sources, layers, tables
