# One image for scheduler, workers and the job that collects: the same versions everywhere.
FROM python:3.12-slim
ARG POLKIT_VERSION
# s3fs is for s3://; take gcsfs or adlfs for other stores. None of them comes with the extra.
RUN pip install --no-cache-dir "selinux-polkit[fleet]==${POLKIT_VERSION}" s3fs && useradd --uid 10001 collector
USER 10001
