mod captures;
mod hostile;
