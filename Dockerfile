# Runs kerasrec commands, such as nightly jobs: docker run -v "$PWD:/work" IMAGE recall train ALL
FROM python:3.12-slim
WORKDIR /opt/kerasrec
COPY pyproject.toml setup.cfg README.md LICENSE ./
COPY run_scripts run_scripts
COPY kerasrec kerasrec
RUN pip install --no-cache-dir -c run_scripts/constraints.txt ".[all]" \
    && pip install --no-cache-dir --no-deps bert4keras==0.11.5
# data/, output/ and export/ are in the working folder
WORKDIR /work
ENTRYPOINT ["kerasrec"]
CMD ["--help"]
