//! Feeds from the outside: what is read from good ones, and how bad ones are refused.

mod built_in;
mod feed;
mod formations;
mod leniency;
mod national;
mod properties;
mod reading;
mod refusals;
mod searching;
