# Airflow with tcetl and the emulator, at the versions of uv.lock.
ARG AIRFLOW_VERSION=3.3.2
FROM apache/airflow:${AIRFLOW_VERSION}-python3.12

COPY --chown=airflow:root pyproject.toml uv.lock README.md LICENSE /opt/tcetl/
COPY --chown=airflow:root tcetl /opt/tcetl/tcetl
COPY --chown=airflow:root dags /opt/tcetl/dags
RUN cd /opt/tcetl \
    && uv export --quiet --frozen --no-default-groups --extra airflow --extra emulator --no-emit-project -o /tmp/requirements.txt \
    && uv pip install --no-cache -r /tmp/requirements.txt \
    && uv pip install --no-cache --no-deps /opt/tcetl \
    && rm /tmp/requirements.txt
# A new volume takes over its owner from here; otherwise it would be root's.
RUN mkdir -p /opt/airflow/data
