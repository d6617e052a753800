//! The real command against a server of this test, which answers with what `cofferdam_model::api` says,
//! or with what no daemon should ever say.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod bad_answers;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod command;
#[cfg(test)]
mod generated;
#[cfg(test)]
mod help;
#[cfg(test)]
mod server;
#[cfg(test)]
mod signing;
#[cfg(test)]
mod transcripts;
