//! The rules, a file for each kind. A check takes the repository and returns what breaks its rule.

pub mod circles;
pub mod columns;
pub mod dead;
pub mod packages;
pub mod references;
pub mod rooms;
pub mod safety;
pub mod seals;
pub mod sizes;
pub mod words;
