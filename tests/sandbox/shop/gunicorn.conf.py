"""gunicorn: one master, one threaded worker, plain text access lines on stdout."""

accesslog = "-"
errorlog = "-"
capture_output = False
graceful_timeout = 3
keepalive = 5
threads = 4
timeout = 30
worker_class = "gthread"
workers = 1
worker_tmp_dir = "/dev/shm"
# The control socket of gunicorn 25 and later wants a writable home folder, which a container does not give it.
control_socket_disable = True
