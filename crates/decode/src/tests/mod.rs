mod captures;
mod differential;
mod hostile;
mod wire;
