# In place of the golang image: a shell. The compiler is that of this machine, mounted.
FROM scratch
COPY busybox /bin/sh
ENV PATH=/usr/local/go/bin:/bin HOME=/root GOPATH=/go GOTOOLCHAIN=local
WORKDIR /tmp
WORKDIR /go
