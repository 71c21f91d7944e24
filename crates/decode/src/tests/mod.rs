mod captures;
mod conformance;
mod differential;
mod hostile;
mod wire;
