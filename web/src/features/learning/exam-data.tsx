/** Where the data of each exam comes from. A test holds the list to the exams that the server knows. */
import { Fragment } from 'react';
import { useTranslation } from '../../i18n';
import '../../i18n/pages/learning';
import { Command } from '../../ui/command';

interface DataSet {
  exams: readonly string[];
  title: string;
  /** Files in the folder that `--data` names. */
  files: readonly string[];
  source: string;
}

const BUILT_IN = ['abstention', 'citations', 'constraints', 'corrections', 'freshness', 'retrieval', 'spec'];
const DOWNLOADED = ['ifeval', 'persistbench'];
/** Exams with the questions of a downloaded one. */
const WITH_DOWNLOADED = ['persistbench-chosen'];

const DATA_SETS: readonly DataSet[] = [
  {
    exams: ['gsm8k'],
    title: 'GSM8K',
    files: ['gsm8k/test.jsonl'],
    source: 'https://github.com/openai/grade-school-math',
  },
  {
    exams: ['truthfulqa', 'truthfulqa-mc'],
    title: 'TruthfulQA',
    files: ['truthfulqa/TruthfulQA.csv'],
    source: 'https://github.com/sylinrl/TruthfulQA',
  },
  {
    exams: ['nq-open', 'calibration'],
    title: 'NQ-open',
    files: ['nq_open/NQ-open.dev.jsonl'],
    source: 'https://github.com/google-research-datasets/natural-questions',
  },
  {
    exams: ['xstest'],
    title: 'XSTest',
    files: ['xstest/xstest_prompts.csv'],
    source: 'https://github.com/paul-rottger/exaggerated-safety',
  },
  {
    exams: ['cmrc2018'],
    title: 'CMRC 2018',
    files: ['cmrc2018/cmrc2018_dev.json'],
    source: 'https://github.com/ymcui/cmrc2018',
  },
];

export function ExamData() {
  const t = useTranslation();
  return (
    <details className="card">
      <summary>{t('exams.data')}</summary>
      <div className="stack exam-data">
        <section className="stack tight">
          <h3>{t('exams.dataNone')}</h3>
          <p className="small muted">{t('exams.dataNoneText', { exams: BUILT_IN.join(', ') })}</p>
          <Command lines={BUILT_IN.map((exam) => `yearling exam run ${exam} --limit 20`)} />
        </section>
        <section className="stack tight">
          <h3>{t('exams.dataPulled')}</h3>
          <p className="small muted">{t('exams.dataPulledText')}</p>
          <Command
            lines={[
              ...DOWNLOADED.map((exam) => `yearling exam pull ${exam}`),
              ...[...DOWNLOADED, ...WITH_DOWNLOADED].map((exam) => `yearling exam run ${exam} --limit 20`),
            ]}
          />
        </section>
        <section className="stack tight">
          <h3>{t('exams.dataOwn')}</h3>
          <p className="small muted">{t('exams.dataOwnText')}</p>
          <Command lines={['yearling exam run gsm8k --data DIR --limit 20']} />
          <div className="table-box" tabIndex={0} role="group" aria-label={t('exams.dataOwn')}>
            <table className="table">
              <thead>
                <tr>
                  <th>{t('exams.dataSet')}</th>
                  <th>{t('exams.exam')}</th>
                  <th>{t('exams.dataFiles')}</th>
                </tr>
              </thead>
              <tbody>
                {DATA_SETS.map((one) => (
                  <tr key={one.title}>
                    <td className="nowrap">
                      <a href={one.source} target="_blank" rel="noopener noreferrer">
                        {one.title}
                      </a>
                    </td>
                    <td className="mono">{one.exams.join(', ')}</td>
                    <td className="mono">
                      {one.files.map((file) => (
                        <Fragment key={file}>
                          DIR/{file}
                          <br />
                        </Fragment>
                      ))}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </section>
        <p className="small muted">{t('exams.dataList')}</p>
      </div>
    </details>
  );
}
