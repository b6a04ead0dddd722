# One image for the recipes in deploy/, for docker-compose.yml, and for that one's MLflow server.
# docker build -t registry.example.com/dqi:0.1.0 .
FROM python:3.12.13-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# Before the source, so that a change of it costs seconds; PostgreSQL and S3 need the last two.
# What is copied from here has no pip.
RUN python -m venv --without-pip /opt/dqi \
 && pip --python /opt/dqi install mlflow==3.17.2 wandb==0.31.0 \
      'psycopg[binary]==3.3.9' boto3==1.44.5
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY dqi_tracking dqi_tracking
# the libraries' own tests are an eighth of it
RUN pip --python /opt/dqi install . \
 && find /opt/dqi -type d -name tests -prune -exec rm -rf {} +

FROM python:3.12.13-slim-bookworm
# a volume that is mounted here takes over the owner
RUN useradd --uid 10001 --user-group --create-home --skel /dev/null \
      --home-dir /var/lib/dqi --shell /usr/sbin/nologin dqi
COPY --from=build /opt/dqi /opt/dqi
ENV PATH=/opt/dqi/bin:$PATH PYTHONUNBUFFERED=1 HOME=/var/lib/dqi DQI_STATE_DIR=/var/lib/dqi
WORKDIR /var/lib/dqi
# the number, since runAsNonRoot cannot check a name
USER 10001:10001
# no HEALTHCHECK: it is a command that ends; docker-compose.yml has one for each that stays
ENTRYPOINT ["dqi"]
