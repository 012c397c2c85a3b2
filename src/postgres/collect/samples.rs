//! Values for parameters that nobody gave: likely ones, from the statistics of the columns that they are compared with. Read from the
//! generic plan, whose conditions name column and parameter.
